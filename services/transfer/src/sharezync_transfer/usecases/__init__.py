"""What transfer can be asked to do.

| | |
|---|---|
| `offering` | `offer` |
| `commands` | `accept`, `reject`, `pause`, `resume`, `cancel` |
| `completing` | `complete` |
| `queries` | `get`, `page`, `missing`; `participation`: for gateways, before they move chunks |
| `statistics` | `of` |
| `receiving` | `confirm`: from recipients without a socket |
| `choices` | policies of devices |
| `users` | `USERS`: the copy of auth's |
| `capabilities` | `CapabilityIssuer`: tokens given, and looked at when they are shown |
| `progress` | `report`: from gateways, while they do |
| `acquaintances` | `exists`, `among` |
| `sweeping` | `expire_some`, `release_some`, `sweeping` |
| `erasing` | `erase_user` |

Beneath them: `offer_policy` (what becomes of an offer) and `limits`, `transitions` (what follows
from a change of a recipient's state) and `daily_totals` (what statistics are read from),
`progress_broadcast` and `rates` (progress, as clients get it), `participations` (what somebody is
to a transfer), `events` (which documents are published), `services` (other services).
"""
