"""The compute database: typed tables, and one module of queries per noun named by intent.

Imported by nova.conductor (and nova-manage) alone; its engine also opens Placement's database. A query takes
a Connection inside a transaction and gives frozen structs; nothing is loaded lazily.
"""
