"""Any resource as plain dicts, custom ones too: client-go's dynamic client.

`dynamic_client` has the verbs, `unstructured` turns dicts into typed objects and back.

Not here: finding resources (client/discovery, client/restmapper), classes (client/typed).
"""
