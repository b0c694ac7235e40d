"""nova-objectstore: the S3 protocol over files of one host. A project's buckets are its own.

From a request inwards:

    application.py  the daemon's WSGI application: authenticates, routes, words errors
    request.py      a request and an answer in S3's terms
    signature.py    what a signature (v4) covers, and when it was made
    authentication.py    who asks: Keystone checks the signature
    buckets.py, objects.py, multipart.py    what is done with them
    payload.py      a body that is verified while it is read; chunked.py, checksums.py, digests.py
    conditions.py, ranges.py    If-*, Range
    listing.py      pages of keys
    documents.py    XML, read and written
    store.py        objects' bytes: files that are whole or not there
    index.py        what a project has: one transaction for each change

The rule: what a tenant names becomes a value in a project's own index, and never a part of a path.
"""
