"""Grafana's dashboards, declared; `make dashboards` writes their JSON.

A dashboard is a list of panels, a panel a title, a unit and queries by legend. What they look like
is in `panels`, what they show in the other modules.
"""
