"""The certificate beside a result, and its verification."""
