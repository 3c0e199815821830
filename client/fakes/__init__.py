"""What tests put in front of a client: a record of its calls, and reactors that answer instead of the server.

``actions`` describes a call, ``fake`` records calls and asks the reactors, ``watch`` is a watch fed by hand,
``rest`` is the RESTClient that asks a `Fake` first. `deltawire.fake.FakeClientset` puts a server behind it.

Not here: a server or a store of objects. What no reactor answers goes on to wherever the RESTClient leads.
"""
