"""What storage can be asked to do.

`context`: the parts that live as long as the process; functions are given what they need of it.

Uploads, by source, over one assembler:
`form_uploads`: keep a file that comes in one piece.
`tus_uploads`: begin an upload that comes from its start to its end, or is made of others; say how
    far it is, go on with it, give it up. `writers` sees to it that one request writes at a time,
    `append_receiver` counts, hashes and records what comes.
`chunk_uploads`: begin uploads in chunks, say how far they are, give them up; `chunks` writes and
    reads one chunk, the hot path of transfers.
`direct_uploads`: begin and complete uploads by signed URLs.
`assembler`: verify an upload and make it a file, after a crash too.
`uploads`: what all of them have in common.

Files:
`files`: list, look at, delete, describe what was kept.
`links`: make signed URLs that hold for minutes, and links by which strangers download a file;
    `claims` counts the downloads.
`quota`: reserve room before bytes come, and account for it after.
`holding`: keep a file for messages and transfers that have it, whatever its owner does.
`erasing`: forget a user.
`sweeping`: delete what nobody needs from the store.
`inventory`: what the store must hold for all that the database says.
`collecting`: remove what nobody holds any more; tell what is to go, and why.
"""
