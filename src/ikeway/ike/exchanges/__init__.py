# SPDX-License-Identifier: Apache-2.0
"""One exchange each: its shapes, and at most a request, a response and a conclusion."""
