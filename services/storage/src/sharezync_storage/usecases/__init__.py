"""What storage can be asked to do.

`receiving`: keep a file that comes in one piece.
`appending`: begin an upload that comes from its start to its end, tell how far it is, go on with
    it, give it up; `concatenating` makes one of several.
`files`: list, look at, delete, describe what was kept.
`urls`: make a signed URL to a file that holds for minutes.
`grants`: let somebody beside the owner read a file.
`links`: make links by which strangers download a file; `unlocking` asks for their passwords,
    `claims` counts the downloads.
`direct`: begin uploads by signed URLs; `completing` makes their parts a file.
`uploads`: begin an upload in chunks, tell how far it is, give it up.
`chunks`: write and read one chunk; the hot path of transfers.
`finishing`: verify an upload and make it a file, after a crash too.
`quota`: reserve room before bytes come, and account for it after.
`holding`: keep a file for messages and transfers that have it, whatever its owner does.
`erasing`: forget a user.
`sweeping`: delete what nobody needs from the store.
`collecting`: remove what nobody holds any more; tell what is to go, and why.
`totals`: count how things stand.
"""
