"""The learner contract, artifacts, the one training loop, groups.

Where to find what (import from the module named; nothing heavy is imported here):

=============== ==========================================================================================
``contract``    ``Learner`` (fit, evaluate, emit) and what it hands back
``signals``     ``Signal`` and its place in the store
``settings``    configuration dataclasses: JSON, sizes, ``key=value`` overrides
``artifact``    ``Artifact``: a fitted learner on disk, verified at load
``registry``    the learners by name
``run``         ``Run``: seed, device, threads, folder, metrics, progress
``train``       the training loop: ``train``, ``TrainConfig``, ``StepOutput``
``batches``     where batches come from, and the thread that builds them ahead
``processes``   several processes: ``launch``, ``gather_with_gradient``
``groups``      a hierarchy of groups per row: splits, samplers, metrics, intervals, leak probe
``randomness``  every random stream: seeded, derived, captured
``storage``     folders that appear whole and are verified when read
=============== ==========================================================================================
"""
