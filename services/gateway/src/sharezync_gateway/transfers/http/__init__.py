"""Transfers over HTTP; `routes` has what the gateway's route table is given."""
