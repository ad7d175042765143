"""Dashboards and panels, and the JSON that Grafana reads of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

SCHEMA_VERSION: Final = 42
"""Grafana 12's. It migrates older ones when it loads them."""
WINDOW: Final = "$__rate_interval"
"""What Grafana puts in place of a window that fits the resolution and the scrape interval."""
NOTHING: Final = "or vector(0)"
"""Ends a query about what hardly ever happens: nothing of it is 0, and no missing data."""

_WIDTH: Final = 24
_HEIGHT: Final = 8

Unit = Literal["ops", "reqps", "s", "bytes", "Bps", "short", "percentunit", "dateTimeFromNow"]


@dataclass(frozen=True)
class Panel:
    """One picture. `queries` are PromQL by legend, in which labels may stand: `{{service}}`."""

    title: str
    unit: Unit
    queries: Mapping[str, str]
    about: str = ""
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 8
    stacked: bool = False

    def document(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return it as Grafana reads it, at this place."""
        defaults: dict[str, Any] = {"unit": self.unit, "min": 0}
        options: dict[str, Any] = {}
        if self.kind == "timeseries":
            stacking = "normal" if self.stacked else "none"
            defaults["custom"] = {
                "fillOpacity": 10 if self.stacked else 0,
                "showPoints": "never",
                "stacking": {"mode": stacking, "group": "A"},
            }
            options = {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "gridPos": {"x": x, "y": y, "w": self.width, "h": _HEIGHT},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": options,
            "targets": [
                {
                    "refId": chr(ord("A") + index),
                    "datasource": {"type": "prometheus", "uid": "${datasource}"},
                    "expr": query,
                    "legendFormat": legend,
                    "instant": self.kind == "stat",
                    "range": self.kind != "stat",
                }
                for index, (legend, query) in enumerate(self.queries.items())
            ],
        }


@dataclass(frozen=True)
class Dashboard:
    """Panels under a name; `name` is also that of its file."""

    name: str
    title: str
    panels: Sequence[Panel]
    about: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as Grafana reads it: panels in rows from left to right."""
        x = y = 0
        placed = []
        for number, panel in enumerate(self.panels, start=1):
            if x + panel.width > _WIDTH:
                x, y = 0, y + _HEIGHT
            placed.append(panel.document(number, x, y))
            x += panel.width
        return {
            "uid": f"sharezync-{self.name}",
            "title": f"ShareZync / {self.title}",
            "description": self.about,
            "tags": ["sharezync"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "utc",
            "annotations": {"list": []},
            "links": [
                {
                    "type": "dashboards",
                    "title": "ShareZync",
                    "tags": ["sharezync"],
                    "asDropdown": True,
                    "includeVars": True,
                    "keepTime": True,
                    "icon": "external link",
                    "targetBlank": False,
                    "tooltip": "",
                    "url": "",
                }
            ],
            "templating": {
                "list": [
                    {
                        "name": "datasource",
                        "label": "Prometheus",
                        "type": "datasource",
                        "query": "prometheus",
                        "hide": 0,
                        "refresh": 1,
                    }
                ]
            },
            "panels": placed,
        }


def rate(metric: str, *by: str, where: str = "") -> str:
    """Return the query of how often something happens in a second."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} (rate({metric}{_selected(where)}[{WINDOW}]))"


def quantiles(
    metric: str, *by: str, where: str = "", of: Sequence[float] = (0.5, 0.95, 0.99)
) -> dict[str, str]:
    """Return the queries of quantiles of a histogram, by legend."""
    labels = "".join(f" {{{{{label}}}}}" for label in by)
    grouped = ", ".join((*by, "le"))
    return {
        f"p{share * 100:g}{labels}": (
            f"histogram_quantile({share:g}, "
            f"sum by ({grouped}) (rate({metric}_bucket{_selected(where)}[{WINDOW}])))"
        )
        for share in of
    }


def _selected(where: str) -> str:
    return f"{{{where}}}" if where else ""
