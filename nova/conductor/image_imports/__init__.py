"""Images that the EC2 API brings into the Image service: out of the object store, or as copies of others.

Operations (nova.conductor.engine) are of servers; an image on its way has no server, so it has a row and a lease of its own
(doc/decisions/0053-images-on-their-way.md).
"""
