"""What chat can be asked to do.

| | |
|---|---|
| `channels` | `create`, `get`, `page`, `change`, `delete` |
| `conversations` | `find_or_create` |
| `members` | `join`, `leave`, `mute`, `add`, `change_role`, `pass_on`, `remove`, `page` |
| `invites` | `create`, `page`, `revoke`, `accept` |
| `messages` | `prepare`, `get`, `edit`, `edits`, `delete`, `replies`, `by_author`, … |
| `reactions` | `add`, `remove` |
| `pins` | `pin`, `unpin`, `page` |
| `searching` | `search` |
| `history` | `page` |
| `reading` | `mark_read` |
| `memberships` | `page`, `sync`, `streams_of_user` |
| `people` | `USERS`, the copy of auth's; `to_admit`, `named`, `erase`, `acquainted` |
| `bans` | `ban`, `lift`, `page`, … |
| `traces` | `erase`, `forget_channel` |
| `purge` | `purge`, `purge_some` |

Beneath them: `posting` and `batch` (the hot path), `mentions` (whom a text mentions), `indexing`
(words for search), `limits` (how much at once), `membership_changes` (joining and leaving, step by
step), `reads` (rows into documents), `events` (which of them are published), `actor` (who asks).
"""
