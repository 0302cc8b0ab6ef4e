"""Makes all files of one version: ``python -m scripts.release`` (``make release``).

``conditions`` says when it may, ``artefacts`` makes the files (docs/release.md).
"""
