"""ShareZync auth: users and passwords, login sessions, signing keys, devices with their online
state, and whom each account has blocked; the streams `account:<user>`.
"""
