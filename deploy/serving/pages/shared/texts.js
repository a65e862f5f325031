"use strict";

// What every page says, by language; a code of an error is looked up as error_<code>.
// An error that is a function gets the limits and the service's own sentence, `detail`, in English.
const TEXTS = {
  en: {
    resultTitle: "Answer",
    working: "Computing …",
    failed: "No answer.",
    card: "Model card: data, metrics and limits",
    docs: "Interface for programs (OpenAPI)",
    model: (name, version) => `Model ${name}, version ${version}`,
    promoted_evidence: ({ points, difference, low, high, samples, compared_with }) =>
      `Champion by evidence: accuracy ${points(difference)} points (${points(low)} to ${points(high)}) against version ${compared_with}, on the same ${samples} test samples.`,
    promoted_first: ({ accuracy, samples }) =>
      `The first champion, compared with none: accuracy ${percent.format(accuracy)} on ${samples} test samples of its own run.`,
    promoted_forced: ({ because }) => `Champion by hand, without evidence that it is better. The reason given: ${because}`,
    promoted_rollback: ({ because }) => `Champion again: ${because}`,
    promoted_rolled_back: ({ because }) => `No longer champion, after a rollback: ${because}`,
    promoted_allowed: "Champion by hand, not compared with the one before.",
    promoted_none: "Not promoted: this model is not the champion.",
    latency: (total, server) => `${total} ms in all, ${server} ms in the service`,
    error_too_large: ({ mb }) => `The file is too large: at most ${mb} MB.`,
    error_too_slow: "The upload took too long. Try again.",
    error_too_long: "The answer took too long. Send less at a time.",
    error_overloaded: "The service is busy. Try again in a few seconds.",
    error_not_ready: "The service is starting. Try again in a few seconds.",
    error_network: "The service does not answer. Is it running?",
    error_too_many_requests: "Too many requests with this key. Wait a minute.",
    key: "Key",
    keySend: "Continue",
    keyHelp: "This service needs a key. It is kept until this tab is closed.",
    keyWrong: "The service does not know this key.",
  },
  es: {
    resultTitle: "Respuesta",
    working: "Calculando …",
    failed: "Sin respuesta.",
    card: "Ficha del modelo: datos, métricas y límites (en inglés)",
    docs: "Interfaz para programas (OpenAPI)",
    model: (name, version) => `Modelo ${name}, versión ${version}`,
    promoted_evidence: ({ points, difference, low, high, samples, compared_with }) =>
      `Campeón por evidencia: exactitud ${points(difference)} puntos (${points(low)} a ${points(high)}) frente a la versión ${compared_with}, en las mismas ${samples} muestras de prueba.`,
    promoted_first: ({ accuracy, samples }) =>
      `El primer campeón, comparado con ninguno: exactitud ${percent.format(accuracy)} en ${samples} muestras de prueba de su propia ejecución.`,
    promoted_forced: ({ because }) => `Campeón elegido a mano, sin evidencia de que sea mejor. El motivo dado: ${because}`,
    promoted_rollback: ({ because }) => `Campeón de nuevo: ${because}`,
    promoted_rolled_back: ({ because }) => `Ya no es campeón, se volvió al anterior: ${because}`,
    promoted_allowed: "Campeón elegido a mano, sin compararlo con el anterior.",
    promoted_none: "No promovido: este modelo no es el campeón.",
    latency: (total, server) => `${total} ms en total, ${server} ms en el servicio`,
    error_too_large: ({ mb }) => `El archivo es demasiado grande: como máximo ${mb} MB.`,
    error_too_slow: "El envío tardó demasiado. Inténtelo de nuevo.",
    error_too_long: "La respuesta tardó demasiado. Envíe menos de una vez.",
    error_overloaded: "El servicio está ocupado. Inténtelo en unos segundos.",
    error_not_ready: "El servicio está arrancando. Inténtelo en unos segundos.",
    error_network: "El servicio no responde. ¿Está en marcha?",
    error_too_many_requests: "Demasiadas peticiones con esta clave. Espere un minuto.",
    key: "Clave",
    keySend: "Continuar",
    keyHelp: "Este servicio pide una clave. Se guarda hasta que se cierre esta pestaña.",
    keyWrong: "El servicio no conoce esta clave.",
  },
};
