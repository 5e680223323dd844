"""What people type: one file for each command or pair of commands; `cli` parses, these act.

Contract: `function(options) -> exit code`; results go to stdout, faults are raised as UserError. Nothing heavy is
imported before it is needed, so that every command that only reads files answers at once.
"""
