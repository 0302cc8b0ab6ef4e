"""Builds the two container images: ``python -m scripts.image`` (``make image``).

Read in this order: ``Dockerfile``, then ``debian`` and ``base`` (a root without shell from packages
of the distribution), ``wheels``, ``source`` (what the builder sees), ``build``, ``oci`` (archives),
``contents`` (what is printed). ``sbom`` runs inside the builder.
"""
