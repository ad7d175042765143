"""What transfer can be asked to do.

| | |
|---|---|
| `offering` | `offer` |
| `acting` | `accept`, `reject`, `pause`, `resume`, `cancel` |
| `completing` | `complete` |
| `looking` | `get`, `page`, `missing`, `stats` |
| `attaching` | `attach`: for gateways, before they move chunks |
| `progress` | `report`: from gateways, while they do |
| `acquaintances` | `exists` |
| `sweeping` | `expire_some`, `release_some`, `sweeping` |
| `people` | `require`, `learn`, `forget` |
| `erasing` | `erase_user` |

Beneath them: `settling` (the end of every change), `pulse` and `speeds` (what both ends hear of
progress), `wire` (the documents), `events` (which of them are told), `peers` (other services).
"""
