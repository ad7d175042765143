"""What transfer can be asked to do.

| | |
|---|---|
| `offering` | `offer` |
| `acting` | `accept`, `reject`, `pause`, `resume`, `cancel` |
| `completing` | `complete` |
| `looking` | `get`, `page`, `missing` |
| `statistics` | `of` |
| `receiving` | `confirm`: from recipients without a socket |
| `choices` | policies of devices |
| `users` | `USERS`: the copy of auth's |
| `capabilities` | `CapabilityIssuer`: tokens given, and looked at when they are shown |
| `attaching` | `attach`: for gateways, before they move chunks |
| `progress` | `report`: from gateways, while they do |
| `acquaintances` | `exists`, `among` |
| `sweeping` | `expire_some`, `release_some`, `sweeping` |
| `erasing` | `erase_user` |

Beneath them: `offer_policy` (how an offer is met) and `limits`, `settling` (the end of every
change) and `sums` (what statistics are read from), `progress_broadcast` and `rates` (what both ends
hear of progress), `attachments` (somebody's end of a transfer), `events`
(which documents are told), `services` (other services).
"""
