package main

func (b *bench) writePage() error { return nil }
