"""What chat can be asked to do.

| | |
|---|---|
| `channels` | `create`, `get`, `page`, `change`, `delete` |
| `conversations` | `find_or_create` |
| `members` | `join`, `leave`, `mute`, `add`, `change_role`, `remove`, `page` |
| `messages` | `post`, `get`, `edit`, `edits`, `delete`, `by_author`, `attachment_url`, `detach` |
| `history` | `page` |
| `reading` | `mark_read` |
| `memberships` | `page`, `sync`, `streams_of_user` |
| `people` | `require`, `learn`, `erase` |
| `acquaintances` | `exists` |
| `traces` | `erase`, `forget_channel` |
| `purge` | `purge_some`, `purging` |

Beneath them: `posting` and `batch` (the hot path), `seats` (the steps of coming and going),
`reads` (rows into documents), `wire` (the documents), `told` (what a change answers), `peers`
(other services).
"""
