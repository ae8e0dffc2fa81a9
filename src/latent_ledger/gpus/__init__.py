"""GPUs: what fits on which, how long jobs take, and what they cost.

    config.json's numbers --architectures--> parameters, bytes of weights and cache
    bytes, GPU --memory--> fits or not, and why
    rule, settings, sizes --work--> operations, bytes, seconds --estimates--> GPU, minutes
    minutes, resources --prices--> dollars --bill--> the table of a dry run

Everything here is arithmetic over the configuration and three small data files; nothing imports a
model library, so that a dry run stays a matter of seconds.
"""
