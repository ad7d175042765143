"""What transfer can be asked to do.

| | |
|---|---|
| `offering` | `offer` |
| `commands` | `accept`, `act` (reject, pause, cancel), `resume` |
| `completing` | `complete` |
| `queries` | `get`, `page`, `missing`; `participation`: for gateways, before they move chunks |
| `statistics` | `of` |
| `choices` | policies of devices |
| `capabilities` | `CapabilityIssuer`: tokens, given and verified; `participation` of somebody |
| `progress` | `report`: from gateways; `confirm`: from recipients without a socket |
| `acquaintances` | `exists`, `among` |
| `sweeping` | `expire`, `expire_some`, `release`, `release_some` |
| `erasing` | `erase_user` |

Beneath them: `context` (what they are given), `offer_policy` (what becomes of an offer),
`transitions` (what follows from a change of a recipient's state), `progress_broadcast` (progress,
as clients get it), `events` (which documents are published).
"""
