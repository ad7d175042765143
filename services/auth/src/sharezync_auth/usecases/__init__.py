"""What auth can be asked to do.

`users`: register, look at, search, change and delete accounts, change a password.
`grants`: log in, refresh a session; `clients`: secrets of services.
`throttling`: whether a password may be looked at, and one's own before great changes.
`importing`: accounts of another installation.
`sessions`: list logins, end one, others or all.
`devices`: register, list, rename, remove; go online and offline. `nodes`: what gateways hold.
`sweeping`: what time takes away. `context`: what use cases are given. `events`: what is published.
"""
