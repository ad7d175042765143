"""Draws dashboards from Prometheus' answers, about as Grafana would; no Grafana is asked."""

import re
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deploy.observability.dashboards.panels import WINDOW, Dashboard, Panel
from sharezync_testkit.prometheus import PrometheusServer

COLUMNS = 3
STEP_SECONDS = 2.0
SHOWN = "15s"


def draw(
    dashboard: Dashboard, prometheus: PrometheusServer, folder: Path, span: tuple[float, float]
) -> None:
    """Write `<name>.png`: all panels with what their queries returned in this span."""
    rows = -(-len(dashboard.panels) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * 4.2, rows * 2.5), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel, ax in zip(dashboard.panels, axes, strict=False):
        _draw(panel, ax, prometheus, span)
    for ax in axes[len(dashboard.panels) :]:
        ax.axis("off")
    figure.suptitle(f"ShareZync / {dashboard.title}", fontsize=11)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(
        folder / f"{dashboard.name}.png", dpi=72, pil_kwargs={"optimize": True, "compress_level": 9}
    )


def _draw(panel: Panel, ax: Axes, prometheus: PrometheusServer, span: tuple[float, float]) -> None:
    ax.set_title(f"{panel.title} [{panel.unit}]", fontsize=8)
    for legend, query in panel.queries.items():
        for series in prometheus.ask_range(query.replace(WINDOW, SHOWN), *span, STEP_SECONDS):
            labels = series["metric"]
            name = re.sub(r"\{\{(\w+)\}\}", lambda m: labels.get(m[1], ""), legend)  # noqa: B023
            seconds = [at - span[0] for at, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            ax.plot(seconds, values, label=name, linewidth=1)
    top = ax.get_ylim()[1]
    ax.set_ylim(-0.04 * top, top)  # so that a line at 0 is seen
    ax.tick_params(labelsize=6)
    ax.grid(alpha=0.3)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=5, loc="upper left", ncols=2, framealpha=0.6)
