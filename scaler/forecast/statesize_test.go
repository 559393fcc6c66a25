package forecast

import "reflect"

// StateSize is the memory that a Forecaster holds, in bytes: itself and all that it points to, but its options.
func (f *Forecaster) StateSize() int {
	held := map[uintptr]bool{}
	size := int(reflect.TypeOf(*f).Size())
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Name != "opts" {
			size += pointedTo(v.Field(i), held)
		}
	}
	return size
}

// pointedTo is what a value points to, each thing once; time zones are shared by all.
func pointedTo(v reflect.Value, held map[uintptr]bool) (size int) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || held[v.Pointer()] || v.Type().Elem().String() == "time.Location" || v.Type().Elem().String() == "forecast.Forecaster" {
			return 0
		}
		held[v.Pointer()] = true
		return int(v.Type().Elem().Size()) + pointedTo(v.Elem(), held)
	case reflect.Slice:
		size = v.Cap() * int(v.Type().Elem().Size())
		for i := range v.Len() {
			size += pointedTo(v.Index(i), held)
		}
	case reflect.Array:
		for i := range v.Len() {
			size += pointedTo(v.Index(i), held)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			size += pointedTo(v.Field(i), held)
		}
	}
	return size
}
