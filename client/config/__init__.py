"""Where the server is and who we are: kubeconfig files, the in-cluster account, one frozen ClientConfig.

`loading.load` finds the configuration and records where it was taken from; `client_config.ClientConfig`
is a plain value that may be pickled into a child process. `kubeconfig_write` puts renewed tokens back.

Not here: sockets, HTTP, reading tokens again while running (client/auth).
"""
