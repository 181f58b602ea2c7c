"""What puts the function into an account: its zip, its environment, and the function itself.

``python -m sarray.deploy --help`` lists the commands; ``docs/deploy.md`` tells the way from nothing to a first job.
"""
