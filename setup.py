"""Hands over to setup.cfg, where everything about the package stands."""

import setuptools

setuptools.setup()
