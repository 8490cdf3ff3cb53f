"""PinRec: outcome-conditioned, multi-token generative retrieval (arXiv 2504.10507).

``config`` what it can be told · ``targets`` and ``examples`` what it learns from · ``inputs`` what it reads beside
events · ``model`` the network and its loss · ``learner`` the contract · ``retrieval`` from vectors to ranked items ·
``evaluation`` its report.
"""
