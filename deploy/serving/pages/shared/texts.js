"use strict";

// What every page says, by language; a code of an error is looked up as error_<code>.
// An error that is a function gets the limits and the service's own sentence, `detail`, in English.
const TEXTS = {
  en: {
    resultTitle: "Answer",
    working: "Computing …",
    failed: "No answer.",
    docs: "Interface for programs (OpenAPI)",
    model: (name, version) => `Model ${name}, version ${version}`,
    latency: (total, server) => `${total} ms in all, ${server} ms in the service`,
    error_too_large: ({ mb }) => `The file is too large: at most ${mb} MB.`,
    error_too_slow: "The upload took too long. Try again.",
    error_too_long: "The answer took too long. Send less at a time.",
    error_overloaded: "The service is busy. Try again in a few seconds.",
    error_not_ready: "The service is starting. Try again in a few seconds.",
    error_network: "The service does not answer. Is it running?",
  },
  es: {
    resultTitle: "Respuesta",
    working: "Calculando …",
    failed: "Sin respuesta.",
    docs: "Interfaz para programas (OpenAPI)",
    model: (name, version) => `Modelo ${name}, versión ${version}`,
    latency: (total, server) => `${total} ms en total, ${server} ms en el servicio`,
    error_too_large: ({ mb }) => `El archivo es demasiado grande: como máximo ${mb} MB.`,
    error_too_slow: "El envío tardó demasiado. Inténtelo de nuevo.",
    error_too_long: "La respuesta tardó demasiado. Envíe menos de una vez.",
    error_overloaded: "El servicio está ocupado. Inténtelo en unos segundos.",
    error_not_ready: "El servicio está arrancando. Inténtelo en unos segundos.",
    error_network: "El servicio no responde. ¿Está en marcha?",
  },
};
