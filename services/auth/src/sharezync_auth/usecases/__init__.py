"""What auth can be asked to do.

`users`: register, look at, search, change and delete accounts, change a password.
`logins`, `refreshing`, `clients`: the three OAuth2 grants; `tokens`: what they give out.
`throttling`: whether a password may be looked at. `confirming`: one's own, before great changes.
`avatars`: whose file one is, and that it is gone.
`importing`: accounts of another installation; `bcrypt_costs`: which of their hashes are left.
`sessions`: list logins, end one, others or all.
`devices`: register, list, rename, remove; go online and offline. `nodes`: what gateways hold.
`sweeping`: what time takes away. `acquaintances`: who knows whom. `events`: what is published.
"""
