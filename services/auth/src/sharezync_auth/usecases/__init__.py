"""What auth can be asked to do.

`users`: register, look at, search, change and delete accounts, change a password.
`logins`, `refreshing`, `clients`: the three OAuth2 grants; `tokens`: what they give out.
`sessions`: list logins, end one, others or all.
`devices`: register, list, rename, remove; go online and offline.
"""
