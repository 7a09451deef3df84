"""Offline payments: bank transfers with a reference, cash, statements of the bank, and money sent back by hand."""
