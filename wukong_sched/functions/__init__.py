"""Functions on this machine: processes that behave as AWS Lambda's do, behind the same two HTTP interfaces."""
