"""What storage can be asked to do.

`files`: keep a file that comes in one piece, list, look at, delete, describe.
`links`: make a link to a file that holds for minutes.
`uploads`: begin an upload in chunks, tell how far it is, give it up.
`chunks`: write and read one chunk; the hot path of transfers.
`finishing`: verify an upload and make it a file.
`quota`: reserve room before bytes come, and account for it after.
`erasing`: forget a user.
`sweeping`: delete what nobody needs from the store, give up what expired.
"""
