// Uploads a file with tus-js-client as the options of the command line say, and tells how it goes.
//
//   node upload.mjs '{"endpoint": …, "token": …, "file": …, "options": {…}}'
//
// One JSON value a line goes to standard output. With `waits` (offsets in bytes) the request that
// would begin there waits for a line on standard input, so that a test can do what it likes then.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import { FileUrlStorage, Upload } from 'tus-js-client'

const asked = JSON.parse(process.argv[2])
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const waits = [...(asked.waits ?? [])]

const options = {
  endpoint: asked.endpoint,
  headers: { Authorization: `Bearer ${asked.token}` },
  metadata: { filename: 'film.mp4', filetype: 'video/mp4' },
  retryDelays: Array(60).fill(250),
  ...asked.options,
  ...(asked.urlStorage ? { urlStorage: new FileUrlStorage(asked.urlStorage) } : {}),
  async onBeforeRequest(request) {
    const offset = Number(request.getHeader('Upload-Offset') ?? -1)
    if (waits.length > 0 && offset >= waits[0]) {
      waits.shift()
      say({ waits: offset })
      await lines.next()
    }
  },
  onAfterResponse(request, response) {
    const offset = response.getHeader('Upload-Offset')
    say({ method: request.getMethod(), status: response.getStatus(), offset: offset ?? null })
  },
  onChunkComplete(_, stored) {
    say({ stored })
  },
  onError(error) {
    say({ error: String(error) })
    process.exit(1)
  },
  async onSuccess() {
    say({ done: upload.url })
    if (asked.terminate) {
      await Upload.terminate(upload.url, options)
      say({ terminated: upload.url })
    }
    process.exit(0)
  },
}

const file = createReadStream(asked.file)
const source = asked.stream ? file.pipe(new PassThrough()) : file // a stream has no length
const upload = new Upload(source, options)
if (asked.urlStorage) {
  const [previous] = await upload.findPreviousUploads()
  if (previous) {
    say({ previous: previous.uploadUrl })
    upload.resumeFromPreviousUpload(previous)
  }
}
upload.start()
