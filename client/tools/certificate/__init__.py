"""A program's own certificate, signed by the cluster and renewed in time.

`key_pair` makes keys and reads certificates, `store` keeps them on disk, `signing` asks the CSR API, `manager`
decides when.

Not here: approving requests; TLS contexts (client/auth, which follows the store's current file by itself).
"""
