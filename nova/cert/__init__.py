"""nova-cert: the cloud's certificate authority, for users' certificates and for image bundles.

    service.py      what is answered on the bus
    authority.py    one authority: its key, its certificate, what it signs
    issued.py       what was issued and revoked
    subjects.py     subjects of certificates, from an operator's template and a user's words

The rule: a key leaves this package once, to the user that it was made for; an authority's key never.
"""
