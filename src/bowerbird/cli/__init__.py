"""The command line: one file a group of commands, each thin over a package below.

Nothing heavy is imported before a command needs it, so that `bowerbird --help` answers at once.
"""
