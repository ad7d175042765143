"""Write what is declared once: dashboards for Grafana, and rules for the Prometheus operator."""

from deploy.observability.dashboards.files import (
    DASHBOARDS,
    FOLDER,
    OPERATOR_RULES,
    operator_rules,
    text_of,
)

for each in DASHBOARDS:
    (FOLDER / f"{each.name}.json").write_text(text_of(each))
OPERATOR_RULES.write_text(operator_rules())
