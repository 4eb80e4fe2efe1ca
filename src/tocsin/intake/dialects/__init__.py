"""Every dialect, a line each: what senders already speak."""

from collections.abc import Mapping

from tocsin.intake.dialect import Dialect
from tocsin.intake.dialects.alertmanager import ALERTMANAGER
from tocsin.intake.dialects.generic import GENERIC
from tocsin.intake.dialects.grafana import GRAFANA
from tocsin.intake.dialects.opsgenie import OPSGENIE
from tocsin.intake.dialects.pagerduty import PAGERDUTY

_EVERY: tuple[Dialect, ...] = (ALERTMANAGER, GRAFANA, PAGERDUTY, OPSGENIE, GENERIC)

DIALECTS: Mapping[str, Dialect] = {each.name: each for each in _EVERY}
