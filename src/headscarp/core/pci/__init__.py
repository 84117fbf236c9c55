"""Primary control indicators (PCIs): the table that defines them and the kernels that compute them."""
