"""Proving who we are, and checking who the server is: headers, plug-ins, OIDC, TLS contexts that rotate.

`credentials.credentials_of` picks the one way that a configuration asks for; `tls_source.TlsSource` keeps
the TLS context in step with its files.

Not here: where the credentials are written down (client/config), sending requests (client/rest).
"""
