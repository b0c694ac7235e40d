"""What is raised for a configuration that cannot be used."""


class BadConfiguration(Exception):
    """The configuration cannot be used; the message names the file, the group and the option, in one line."""
