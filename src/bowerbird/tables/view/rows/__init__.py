"""Row readers. They see the whole store and trust their caller: only the wall (`View`) may call them."""
