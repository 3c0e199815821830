"""What a user may do: RBAC decided from roles and bindings, reviews of access, and acting for others.

`attributes` is the question, `authorizer` the answer, `rbac` how one follows from the other; `policy` reads
roles and bindings, `gate` is what the front of the server asks.

Not here: who a user is (that is ``auth``), and HTTP.
"""
