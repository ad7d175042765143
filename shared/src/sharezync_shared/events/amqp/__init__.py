"""The parts of the RabbitMQ adapter: connections, names and queues, messages, who speaks, who
listens. RabbitMQ 3.10 or later.

Connections are plain ones, kept alive here, not aio-pika's robust ones: those declare exclusive
queues again under their old name and can lock themselves out, and what happens after a
reconnection should be in plain sight.
"""
