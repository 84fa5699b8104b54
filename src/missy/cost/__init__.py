"""What a call costs: the prices of models by host, and the arithmetic. Amounts are `Decimal`, in US dollars."""
