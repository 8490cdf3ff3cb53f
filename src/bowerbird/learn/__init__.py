"""The learner contract, artifacts, the one training loop, groups.

Where to find what (import from the module named; nothing heavy is imported here):

=============== ========================================================================================
``contract``    ``Learner`` (fit, evaluate, emit) and what it hands back
``signals``     ``Signal`` and its place in the store
``settings``    configuration dataclasses: JSON, sizes, ``key=value`` overrides
``artifact``    ``Artifact``: a fitted learner on disk, verified at load
``registry``    the learners by name
``run``         ``Run``: seed, device, threads, folder, progress
``processes``   several processes: ``launch``, ``gather_with_gradient``
``train``       the training loop and its parts
``groups``      a hierarchy of groups per row: splits, samplers, metrics, intervals, leak probe
=============== ========================================================================================
"""
