"""The contract of a check, the tables between stations, the runner, the policy, the errors."""
