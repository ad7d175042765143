"""Tokens: minting, verifying, revoking, and the credentials that services show each other."""
